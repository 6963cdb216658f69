B
grad_imageJ0JpÁ]?_+XA0°‚@›	Õ=¢·û½;¡°¿`¤¿ay@k]º@ V$@2,A?