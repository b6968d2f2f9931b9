"""Front: `payonce demo` tells the accident and its end, with real processes that talk HTTP.

`story` has the acts, `stage` one app with its provider and its queue, `child` their processes,
`figures` what was measured, `logs` what such an app leaves behind, `telling` the words.
"""
