"""A page that trains a model of handwritten digits in the browser, for tools/digits.

In: scikit-learn's digits and a model that is not trained. Out: a folder with a page that works from
a web server and from the file system. Read ``build`` first, then ``page/main.js``.
"""
