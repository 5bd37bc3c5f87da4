"""What filters and models are made of: beliefs, steps, scans, parameters and linear algebra."""
