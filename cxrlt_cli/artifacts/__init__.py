"""The files on disk. This room alone knows their keys and columns, and alone imports h5py and pyarrow."""
