/* SPDX-License-Identifier: MIT */
/* Calls of functions whose arguments all travel in registers. */
#ifndef NEAP_CHAIN_REGISTERS_H
#define NEAP_CHAIN_REGISTERS_H

#include "chain/declaration.h"

enum {
  NEAP__INTEGER_REGISTERS = 6, /* that the machines below have at least */
  NEAP__FLOAT_REGISTERS = 8,
};

/* Where the registers' values are, each in 8 bytes. */
typedef struct neap__registers neap__registers;
struct neap__registers {
  void (*call)(const neap__registers *registers, void (*function)(void),
               void *result); /* NULL: libffi is to call */
  const void *integers[NEAP__INTEGER_REGISTERS];
  const void *floats[NEAP__FLOAT_REGISTERS];
};

/* values: the cells of the parameters, of 8 bytes at least, whose bytes behind
   the parameter are 0. `call` stays NULL if a call needs more than registers.
 */
void neap__registers_assign(neap__registers *out,
                            const neap__declaration *declaration,
                            void *const *values);

#endif
