"""Ways of learning from data: filters, smoothers, optimisation and sampling."""
