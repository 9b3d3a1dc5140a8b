-- SPDX-License-Identifier: MIT
--- What a decoder may make of a few bytes, unless an option allows more: a file
-- of a kilobyte can claim to hold terabytes.
-- @module neap.codec.limits

return {
  PIXELS_MAX = 2^27, -- of an image, as its file says: option pixels_max
  BYTES_MAX = 2^30, -- of anything else: option bytes_max
}
