"""The small engine of reinforcement learning."""
