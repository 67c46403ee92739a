"""What a SQLAlchemy session keeps after commit, with expire_on_commit on and off.

One iteration commits one document in a session that stays open.
"""

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

ARGUMENTS = case_arguments(__file__)


class Base(DeclarativeBase):
    pass


class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]


def build_document(number):
    return Document(id=number, body=f"{number:08d}".ljust(ARGUMENTS.body_bytes, "x"))


def add_document(number):
    document = build_document(number)
    SESSION.add(document)
    if ARGUMENTS.variant == "never_flushed":
        return  # session.new holds it strongly until a flush
    SESSION.commit()
    if ARGUMENTS.variant.startswith("kept"):
        DOCUMENTS.append(document)
    elif ARGUMENTS.variant == "expunged":
        SESSION.expunge(document)


ENGINE = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
Base.metadata.create_all(ENGINE)
DOCUMENTS = []
with ENGINE.connect() as connection:  # the table stays empty: SQLite's pages are not the subject
    connection.exec_driver_sql(
        "CREATE TRIGGER empty AFTER INSERT ON documents"
        " BEGIN DELETE FROM documents WHERE id = NEW.id; END"
    )
    connection.commit()
SESSION = Session(ENGINE, expire_on_commit=ARGUMENTS.variant.endswith("expired"), autoflush=False)

for iteration in range(1, ARGUMENTS.iterations + 1):
    add_document(iteration)
    gauge("identity_map", len(SESSION.identity_map))
    mark()
