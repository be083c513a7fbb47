"""SQL that lets engines read the export: a module per dialect, pure functions of manifests."""
