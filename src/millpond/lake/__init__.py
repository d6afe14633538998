"""What lies on HDFS, read and written without a JVM: files, tables, receipts."""
