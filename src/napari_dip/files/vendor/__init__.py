"""Files of microscopes' makers, each read by a library of its own (extra ``vendor``)."""
