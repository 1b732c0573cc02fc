"""Definitions: sources, compiler, compiled image. Does not know the engine; the image is where they meet."""
