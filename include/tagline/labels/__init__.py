"""Labels by people: whom to ask about, what was answered, and whether the answers can be trusted.

`selection` chooses the questions, `agreement` measures the annotators, `decided` makes labels of
their judgements; `questions`, `delivery` and `judged` are what the command line calls.
"""
