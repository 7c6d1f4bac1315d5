"""The canonical form of data, whatever library holds it: `columns`, and the way there."""
