"""The tokens of lines (a JSON list on stdin), as the library that the model was made for cuts them."""
import json
import sys

from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1])
tokenizer.enable_truncation(256)
tokenizer.no_padding()
lines = json.load(sys.stdin)
json.dump([encoding.ids for encoding in tokenizer.encode_batch(lines)], sys.stdout)
