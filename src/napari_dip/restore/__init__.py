"""The restorations: a part of the image was measured, and a prior supplies the rest.

    theta* = argmin || A f_theta(z) - y ||^2

Inpainting: A leaves pixels out. Upscaling: A takes means. Guided restoration: z is another image.
Inversion: A is a network. Each function has a stream, as `napari_dip.iter_denoise` is to
`napari_dip.denoise`.
"""
