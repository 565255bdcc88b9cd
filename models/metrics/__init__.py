"""How good predictions are: of classes (classification.py, ranking.py, confusion.py) and of texts (bleu.py, rouge.py,
generation.py). Targets come first, predictions second; for texts it is hypotheses first, then references.
"""

from models.metrics.bleu import BLEU, bleu, sentence_bleu
from models.metrics.classification import Scores, accuracy, f1, precision, precision_recall_f1, recall
from models.metrics.confusion import confusion_matrix, draw_confusion_matrix
from models.metrics.generation import exact_match, perplexity
from models.metrics.ranking import roc_auc
from models.metrics.rouge import Rouge, rouge, rouge_of_corpus
