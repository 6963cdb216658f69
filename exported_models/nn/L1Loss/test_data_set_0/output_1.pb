B
grad_inputJPмлL╫млL=млL=млL=млL╫млL╫млL=млL=млL╫млL╫млL=млL=млL=млL=млL=млL=млL╫млL╫млL=млL=