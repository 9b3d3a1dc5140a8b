# SPDX-License-Identifier: MIT
# Completes the words of `neap` in bash, by asking `neap complete`.

_neap() {
  local words=() word glue= last
  # Bash splits NAME=VALUE into three words.
  for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
    if [[ $word == = || $glue ]] && ((${#words[@]})); then
      words[-1]+=$word
    else
      words+=("$word")
    fi
    [[ $word == = ]] && glue=1 || glue=
  done
  last=${words[-1]}
  mapfile -t COMPREPLY < <(timeout 2 "$1" complete "${words[@]}" 2>/dev/null)
  # It replaces what is behind the = alone.
  [[ $last != *=* ]] || COMPREPLY=("${COMPREPLY[@]#*=}")
  [[ ${COMPREPLY-} != *= ]] || compopt -o nospace
}

complete -o bashdefault -o default -F _neap neap
