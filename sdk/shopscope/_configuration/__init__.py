"""What the SDK is told: arguments, environment, the machine it runs on."""
