"""The stages that engine/pipeline.py leads a message through: examined, decided, delivered or ended otherwise."""
