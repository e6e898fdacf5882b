"""What several formats share: files of a folder, lines, CSV rows, and checks of a document."""
