"""Design: what is to be computed: cells, studies of cells, the parts that they choose, and how settings are written."""
