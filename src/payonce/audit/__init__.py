"""Reading: `payonce audit`, the question about money over files that people have already.

`auditing` is the whole of it. `reading` brings each file, piece by piece, into a `store` that is
thrown away: `decoding` makes clean text of bytes, `unfolding` and `loose` make lines of documents,
`formats` says what a piece is, and `sql/` reads it. `storms`, `rounds` and `concentration` ask what
was found; `view` and `document` tell it.
"""
