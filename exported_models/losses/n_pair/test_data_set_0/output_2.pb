Bgrad_positiveJ0d5?á„½—xÝ¼³°¨¿~ß©½
q¶>˜C<l©?­t>ôÿ?´¢ï¾x¿