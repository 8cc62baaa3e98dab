"""What an HLS tool will see of the engine's C++, read from LLVM IR: checks that need clang 14 and no vendor's tool.

Data goes one way: :mod:`compiler` makes IR of sources, by :mod:`choices` and :mod:`structs`; :mod:`ir` and
:mod:`pragmas` read IR and sources; :mod:`loops`, :mod:`memories`, :mod:`operators`, :mod:`dependences` and
:mod:`recurrences` find what is in a pipelined loop; :mod:`views` puts it together, :mod:`checks` compares it with
what may be there, and :mod:`text` shows both. :mod:`engine` does it for one accelerator.
"""
