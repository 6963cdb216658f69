B
embeddingsJ0WÂî¿Ôjý?-¡Ï½
9!¿(»O¿zí?”¡<>CvA?üëU¿[Î>>-'?×“¿