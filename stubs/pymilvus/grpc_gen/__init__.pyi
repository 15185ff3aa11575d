from . import common_pb2 as common_pb2
from . import schema_pb2 as schema_pb2
from . import feder_pb2 as feder_pb2
from . import msg_pb2 as msg_pb2
from . import rg_pb2 as rg_pb2
from . import milvus_pb2 as milvus_pb2
from . import milvus_pb2_grpc as milvus_pb2_grpc
