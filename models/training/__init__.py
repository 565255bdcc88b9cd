"""Training: the loop and what surrounds it.

trainer.py         the loop; read this first
train_config.py    its settings
captured.py        a step as a CUDA graph
early_stopping.py  when the validation loss no longer falls
interrupt.py       Ctrl-C and SIGTERM
log.py progress.py plots.py    what a run writes, shows and draws
"""
