B
grad_scoreJ E'ë>E'ë¾zÞb¾zÞb>e;¼e;<ˆiA¿ˆiA?