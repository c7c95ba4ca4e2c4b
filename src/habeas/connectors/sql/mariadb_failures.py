"""Names the condition of an error of MariaDB or MySQL by its number.

Of its text only names of keys, constraints and columns are read: the rest quotes values of rows.
"""

import re
from collections.abc import Iterable

import pymysql

from habeas.connectors.sql.failures import Condition, Diagnosis


def _numbered(condition: Condition, numbers: Iterable[int]) -> dict[int, Condition]:
    return dict.fromkeys(numbers, condition)


_CONDITIONS = {
    **_numbered(Condition.UNREACHABLE, (1053, 1077, 1080, 1158, 1159, 1160, 1161, 1184, 1927, 2000, 2002, 2003, 2005)),
    **_numbered(Condition.UNREACHABLE, (2006, 2012, 2013, 2014, 2026, 2027, 2055, 4031)),
    **_numbered(Condition.LOGIN, (1045, 1129, 1130, 1156, 1251, 1275, 1396, 1524, 1698, 1820, 1862)),
    **_numbered(Condition.LOGIN, (2049, 2054, 2059, 2061, 3118, 3159, 4151)),
    # too many connections, out of memory, waits, deadlocks, statements that took too long or were ended by staff
    **_numbered(Condition.BUSY, (1037, 1038, 1040, 1041, 1099, 1135, 1192, 1203, 1205, 1206, 1213, 1223, 1226)),
    **_numbered(Condition.BUSY, (1317, 1412, 1614, 1615, 1637, 1907, 1969, 3024, 3058, 3572, 3989)),
    **_numbered(Condition.FULL, (1004, 1021, 1026, 1030, 1034, 1114, 1194, 1195, 1712, 1877)),
    **_numbered(Condition.NO_DATABASE, (1049,)),
    **_numbered(Condition.MISSING, (1046, 1051, 1054, 1146, 1356, 1449, 1812, 1932)),
    # privileges, read-only servers, transactions, views and generated columns
    **_numbered(Condition.NOT_ALLOWED, (1044, 1142, 1143, 1227, 1288, 1290, 1348, 1370, 1394, 1443, 1471, 1665)),
    **_numbered(Condition.NOT_ALLOWED, (1792, 1836, 1906, 3105)),
    # null, duplicates, foreign keys, ranges, lengths, characters, checks, triggers that say no, a packet too large
    **_numbered(Condition.DATA, (1048, 1062, 1153, 1169, 1216, 1217, 1263, 1264, 1265, 1292, 1300, 1301, 1364, 1365)),
    **_numbered(Condition.DATA, (1366, 1369, 1406, 1411, 1416, 1425, 1441, 1451, 1452, 1525, 1526, 1557, 1586, 1644)),
    **_numbered(Condition.DATA, (1690, 1761, 1762, 1765, 1859, 3140, 3819, 3854, 3988, 4025, 4038)),
}
_NAMES = (
    (re.compile(r".* for key '([^']*)'", re.DOTALL), (1062, 1586, 1859)),
    (re.compile(r".*, CONSTRAINT `([^`]*)` FOREIGN KEY .*", re.DOTALL), (1451, 1452)),
    (re.compile(r"(?:Column|Field) '([^']*)' (?:cannot be null|doesn't have a default value)"), (1048, 1364)),
    (re.compile(r".* for column '?`?([^'`]*)'?`? at row [0-9]+", re.DOTALL), (1264, 1265, 1292, 1406)),
    (re.compile(r".* for column (?:`[^`]*`\.`[^`]*`\.)?['`]([^'`]*)['`] at row [0-9]+", re.DOTALL), (1366,)),
    (re.compile(r"CONSTRAINT `([^`]*)` failed for .*", re.DOTALL), (4025,)),
    (re.compile(r"Check constraint '([^']*)' is violated\."), (3819,)),
)
"""Where the text of an error names a key, a constraint or a column: always after any value it quotes."""


def diagnose(error: BaseException) -> Diagnosis:
    """The condition of a driver's exception, its number, and the key, constraint or column it names."""
    number = error.args[0] if error.args else None
    if not isinstance(error, pymysql.Error) or not isinstance(number, int):
        return Diagnosis(Condition.OTHER, type(error).__name__)
    if number == 0:  # the session is closed
        return Diagnosis(Condition.UNREACHABLE, type(error).__name__)
    condition = _CONDITIONS.get(number, Condition.OTHER)
    return Diagnosis(condition, f"{number} {type(error).__name__}", _objects(number, error))


def _objects(number: int, error: pymysql.Error) -> tuple[str, ...]:
    said = str(error.args[1]) if len(error.args) > 1 else ""
    found = (pattern.fullmatch(said) for pattern, numbers in _NAMES if number in numbers)
    return tuple(match.group(1) for match in found if match)
