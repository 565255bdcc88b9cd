"""Training: the loop and everything around it.

loop.py            what every training shares; read this first
stepper.py         what a loop asks of the thing that it trains
trainer.py         the stepper for most models: down the gradient of a loss on batches
train_config.py    its settings
captured.py        a step as a CUDA graph
early_stopping.py  when the validation loss no longer falls
interrupt.py       Ctrl-C and SIGTERM
log.py progress.py plots.py    what a run writes, shows and draws
"""
