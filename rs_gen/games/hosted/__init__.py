"""What goes into a saved model for ArcGIS Pro; see ``hosting``. None of it imports rs_gen."""
