"""Where audio comes from: addresses, uploads and files, decoded safely."""
