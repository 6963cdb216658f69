/* Exponentials and logarithms. */
LG_FN V lg_exp(V x) { LG_EACH(exp(x[i])); }
LG_FN V lg_exp_nonpositive(V x) { return lg_exp(x); }
LG_FN V lg_expm1(V x) { LG_EACH(expm1(x[i])); }
LG_FN V lg_log(V x) { LG_EACH(log(x[i])); }
LG_FN V lg_log1p(V x) { LG_EACH(log1p(x[i])); }
LG_FN V lg_log1p_unit(V x) { return lg_log1p(x); }
LG_FN V lg_tanh(V x) { LG_EACH(tanh(x[i])); }
LG_FN V lg_sigmoid(V x) { LG_EACH((x[i] < 0 ? exp(x[i]) / (1 + exp(x[i])) : 1 / (1 + exp(-x[i])))); }
LG_FN V lg_log1p_exp_neg_abs(V x) { LG_EACH(log1p(exp(-fabs(x[i])))); }
LG_FN V lg_softplus(V x) { LG_EACH((x[i] > 0 ? x[i] : 0) + log1p(exp(-fabs(x[i])))); }
LG_FN V lg_pow(V x, V y) { LG_EACH(pow(x[i], y[i])); }
LG_FN V lg_sin(V x) { LG_EACH(sin(x[i])); }
LG_FN V lg_cos(V x) { LG_EACH(cos(x[i])); }
LG_FN V lg_atan(V x) { LG_EACH(atan(x[i])); }
LG_FN V lg_sinh(V x) { LG_EACH(sinh(x[i])); }
LG_FN V lg_cosh(V x) { LG_EACH(cosh(x[i])); }
LG_FN V lg_asinh(V x) { LG_EACH(asinh(x[i])); }
