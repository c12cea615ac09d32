/** Uncompressed bytes of a page: what a look-up of one trace reads of every column. */
export const pageBytesTarget = 128 * 1024
