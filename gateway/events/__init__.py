"""What leaves the gateway: catalogue of contracts, building, CloudEvents codec."""
