"""What people at the gateway want of it: shelves, learning anew, and how far its watches have learnt."""
