"""The stand-in's program: Ollama's API in front of a real llama-server. Python's standard library only.

It travels to hosts in an archive, where this package is called `ollama_stand_in`: hence the relative imports.

It differs from the real server (0.32.15) in what follows; everything else that it speaks is meant to be the same.

- Endpoints: no `/api/push`, `/api/me`, `/v1/responses`, `/v1/messages`, no cloud models (404, as for an unknown path).
  Nothing ever calls home, with or without `OLLAMA_NO_CLOUD`; `/api/status` tells what was set.
- Chats: no images, audio or log probabilities: `images` and `logprobs` are ignored. Tools and thinking go through the
  chat template of the GGUF, which llama-server renders, as in the real server. Templates of Go's that have them, and
  the parsers that are built in for some models, count as unable to. Tools are passed on as they were sent.
- Templates of Go's: it renders one, ChatML, and fills `{{ .System }}` and `{{ .Prompt }}` into any other. When a model
  is created, a chat template of the GGUF that is like ChatML's is known, those of other names are not.
  `OLLAMA_GO_TEMPLATE` is not read.
- Created models: the real server rewrites a GGUF by way of `llama-quantize`; this one copies it and adds 32 bytes at
  its end. Either way the stored layer has another digest than the upload, the same one for the same upload.
  So `/api/show` tells tensors in the file's own order, and no `general.quantization_version`.
  It knows some 20 architectures, and of a template it only sees whether its actions pair up.
  No quantization, no safetensors, adapters, messages; `from` takes a model that is there, it does not pull.
- Memory: `size` in `/api/ps` is the size of the file and a guess for the context; `size_vram` is always 0.
- A loaded model is told by its file and its context length; the real server looks at more options.
- JSON: field names are matched exactly, the real server ignores their case.
- Registries: tokens are asked for without the signature that the real server makes: its key file holds no key.
  A blob that a registry refuses is an error at once; the real server may ask again for 30 seconds.
- No GPU discovery, so HTTP answers at once.
"""
