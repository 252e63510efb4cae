"""Vocabularies: free text to terms, by words that people declare.

`words` says how a word is written and compared, `queries` turns calls of term() and terms() in the
SQL of a source into plain SQL, `checks` finds faults and runs the examples.
"""
