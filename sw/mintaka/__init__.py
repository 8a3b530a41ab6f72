"""Mintaka's software: the contract, spiking networks, training and data."""
