"""Records of Kafka.

kafka_sink.py     KafkaSink: a message is sent when the brokers have acknowledged its record
kafka_records.py  the key, value and headers of a record: HEP3, or
homer_columns.py  JSON with the columns of Homer's table of SIP calls
"""
