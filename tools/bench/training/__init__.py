"""Steps of training, beside PyTorch and onnx-ad."""
