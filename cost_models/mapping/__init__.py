"""How layers are cut into tiles, where their feature maps lie, and which blocks of layers run together."""
