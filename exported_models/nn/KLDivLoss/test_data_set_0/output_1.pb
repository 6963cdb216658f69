B
grad_inputJPÀ'¡»+Lh»EA»ö¼­¼`¼ıQ¼2Şß»8ï[»ÈĞ_¼szZ¼RRe»Hrs¼²r‹»a^²¼wì·»’5¬¼d»ˆ¼’º°¼