Bgrad_log_riskJè
>m4?¯›¾KÔ¾