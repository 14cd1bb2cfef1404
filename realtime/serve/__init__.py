"""Everything on the wire: one server, the protocols it speaks, and what keeps them safe."""
