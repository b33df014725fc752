"""Parts of `resources.nwb`: links, tables and columns of NWB files, checked before their values are used."""
