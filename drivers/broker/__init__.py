"""What `mqtt` and `sparkplug` share of MQTT: the connection, its packets, a session, topics. No plugin."""
