"""What every part shares and nothing else: identities, closed sets, files, processes. Imports nothing of headrace."""
