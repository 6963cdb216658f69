Bgrad_logitsJPR¦D<™±A>èº¨<¢=b»ƒ¾hŽ>4šG>Q>lV¿€'=D=ƒ=SD=Côý<ŒoÇ¾-m|>·8>Ÿ«
?ÝrK>XHV<é¾€¿