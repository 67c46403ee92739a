"""One session sees all orders there ever were, but holds only those still being worked on."""

import random

from loop import run
from sqlalchemy import create_engine, delete
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    age: Mapped[int] = mapped_column(default=0)


ENGINE = create_engine("sqlite://")
Base.metadata.create_all(ENGINE)
SESSION = Session(ENGINE, expire_on_commit=False)
OPEN = []


def step(number):
    for _ in range(min(8, int(random.paretovariate(1.4)))):
        text = "o" * min(10_000, int(random.lognormvariate(6, 1)))
        OPEN.append(Order(text=text, age=0))
        SESSION.add(OPEN[-1])
    for order in OPEN:
        order.age += 1
    SESSION.commit()
    newest = OPEN[-1].id
    OPEN[:] = [order for order in OPEN if order.age < 30 and random.random() > 0.1]
    if number % 10 == 9:
        done = delete(Order).where(Order.id < newest - 150)
        SESSION.execute(done, execution_options={"synchronize_session": False})
        SESSION.commit()


if __name__ == "__main__":
    run(step)
